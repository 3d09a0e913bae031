"""The inference half of series: windows, calendars, panels, labelled series."""

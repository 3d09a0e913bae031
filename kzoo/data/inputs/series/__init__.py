"""The fitting half of series: windows, panels, labelled series."""

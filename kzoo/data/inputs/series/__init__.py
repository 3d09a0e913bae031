"""Series: windows, panels, labelled series."""

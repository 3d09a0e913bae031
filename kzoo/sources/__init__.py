"""Sources of data: table files, folders, arrays. What the examples mean is defined in `kzoo.kinds`."""

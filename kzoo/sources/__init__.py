"""Where data comes from: table files, folders, arrays. What examples mean is the matter of `kzoo.kinds`."""

"""The fitting half of images: folders, and tables that label files."""

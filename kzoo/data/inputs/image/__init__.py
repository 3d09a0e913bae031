"""Images: folders and tables of labels."""

"""One HTML file: the model and a page for it, which a browser opens without a server or network."""

"""Hubs: places from which exported models are pulled, and to which they are pushed.

A hub is a folder: `NAME/REVISION/` has the files of an exported model, and `index.json` lists them with their sizes and
checksums. Any HTTP server of files can serve it. Standard library only.
"""

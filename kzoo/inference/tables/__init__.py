"""Tables, from which rows, series and labelled texts are read: raw columns, and the files that hold them.

Not a kind of input itself. `values.py` reads a single column, whatever its source; `raw.py` holds new rows without
pandas, `frame.py` the tables used for training. `files/` has a module for each type of file.
"""

"""Tables, from which rows, series and labelled texts are read: raw columns, and the files that hold them.

Not a kind of input itself. One column is read by `values.py`, whoever asks and wherever it came from; `raw.py` holds
new rows without pandas, `frame.py` the tables that training learns from. `files/` has a module per type of file.
"""

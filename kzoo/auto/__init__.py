"""`kzoo.tune("auto", data)`: which model, within a time limit, and whether it is really better than a simple one.

`candidates` lists what is tried, `parts` divides the rows, `trainer` fits a candidate in a process of its own,
`schedule` decides what is fitted next, `choice` compares candidates, and `winner` writes the run.
"""

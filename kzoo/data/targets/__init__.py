"""What is predicted, from the columns or arrays of a source: task, labels, weights, repairs."""

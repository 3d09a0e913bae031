"""What is read and what is predicted: kinds of input, tasks, and stored types. Standard library only."""

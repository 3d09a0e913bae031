"""The fitting half of rows: columns, in memory or from files larger than memory."""

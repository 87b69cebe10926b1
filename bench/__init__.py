"""One file per question, budgets beside them; `python -m bench` runs them and prints the table."""

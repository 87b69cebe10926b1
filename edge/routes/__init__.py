"""The public routes, one file per resource; none knows another."""

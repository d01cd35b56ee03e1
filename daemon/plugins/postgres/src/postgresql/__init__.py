"""PostgreSQL on cow: see `operations` for what is called when."""

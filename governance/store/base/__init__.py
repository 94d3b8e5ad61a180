"""What every wing of the store stands on: the database, transactions, ids, times, tables."""

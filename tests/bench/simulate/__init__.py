"""Scale on paper: what a million wizards cost, and what breaks first: ``make simulate``.

==================  ======================================================================
``figures.json``    prices, quotas and assumptions: what others say, and where
``measured.json``   what DynamoDB Local and this code say; ``--record`` measures it anew
``measuring.py``    how
``subscription.py``   what the deployment says: batches, memory, time limits
``traffic.py``      wizards that begin by chance, and all that they write
``partitions.py``   which keys these writes are on, and what a key can take
``hot_keys.py``     both together, with the keys, the ledger and the lanes of ``chalicelib``
``addresses.py``    the rate limit's counters, with the real limiter
``sweeping.py``     the real sweeper, on a store that only counts
``model.py``        costs, requests and limits, by arithmetic
``page.py``         the tables, as they stand in docs/scale.md
==================  ======================================================================
"""

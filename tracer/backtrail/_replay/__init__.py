"""A recorded run, run again: which call is which record, what is served, and in which order.

client → **replay** ← calls
"""

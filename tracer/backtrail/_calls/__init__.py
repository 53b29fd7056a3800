"""A call of a decorated function, from the decorator to the user's code and back.

user's function → **calls** → runs, streams, interceptors → user's function
"""

"""A run over threads, processes and HTTP.

runs → **processes** → runs, somewhere else
"""

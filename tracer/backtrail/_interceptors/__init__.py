"""The user's own code before and after every run, agent and step.

calls → **interceptors** → go on, or stop
"""

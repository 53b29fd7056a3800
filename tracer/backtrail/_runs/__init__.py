"""Runs, agents and steps as they are named, numbered and nested; where tasks and threads belong.

calls → **runs** → spans
"""

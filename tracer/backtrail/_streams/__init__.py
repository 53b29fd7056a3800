"""Functions that give items one by one: followed from the first item to the last.

calls → **streams** → one span, with the items on it
"""

"""What models cost: from the genai-prices package, and from users, by the names that spans say.

genai-prices → package ─┐
users        → rules   ─┴→ table → model_prices → dictionary → backtrail_cost
"""

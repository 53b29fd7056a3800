-- Every name that has a price, and by whose word.
SELECT project, provider, model
FROM model_prices FINAL

-- What users said that models cost, in the order of its names.
SELECT project, provider, model, valid_from, origin, price
FROM price_rules FINAL
ORDER BY project, provider, model, valid_from

-- Whether what this version of the package says is in the price table.
SELECT 1
FROM model_prices
WHERE project = '' AND package = {package:String}
LIMIT 1

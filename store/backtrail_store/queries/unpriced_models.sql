-- Models that lately used tokens and have no price: the next names to ask genai-prices about. Spans that come more than
-- an hour late are left to later ones of the same model, so that one hour is read and not all days.
SELECT DISTINCT provider_name, priced_model
FROM spans
WHERE received_time >= fromUnixTimestamp64Nano({since:Int64})
  AND start_time >= fromUnixTimestamp64Nano({since:Int64}) - INTERVAL 1 HOUR
  AND priced_model != '' AND cost_usd IS NULL
  AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL)
LIMIT 1000

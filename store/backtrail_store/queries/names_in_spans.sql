-- Providers and models of spans received since then that used tokens; new are those of which the price table has not
-- the package's word: the next ones to ask about.
SELECT DISTINCT provider_name, model
FROM (
  SELECT provider_name, arrayJoin([request_model, response_model]) AS model
  FROM spans
  WHERE received_time >= fromUnixTimestamp64Nano({since:Int64})
    AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL)
)
WHERE model != ''
  AND (NOT {only_new:Bool} OR (provider_name, model) NOT IN (SELECT provider, model FROM model_prices FINAL WHERE project = ''))
LIMIT {limit:UInt32}

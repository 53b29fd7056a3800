-- What these models cost for a project: by its own word, by everybody's, and by the package's.
SELECT project, provider, model, history
FROM model_prices FINAL
WHERE project IN ({project:String}, '*', '')
  AND has(arrayZip({providers:Array(String)}, {models:Array(String)}), (provider, model))

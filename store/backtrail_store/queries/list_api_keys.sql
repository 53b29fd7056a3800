-- Every key that was ever made, revoked and expired ones too, in the order they were made.
SELECT
  id,
  project,
  name,
  prefix,
  sha256,
  scopes,
  toUnixTimestamp64Milli(created_time) AS created_unix_milli,
  toUnixTimestamp64Milli(expires_time) AS expires_unix_milli,
  toUnixTimestamp64Milli(revoked_time) AS revoked_unix_milli
FROM api_keys FINAL
ORDER BY created_time, id

/** The bundle has no client for BigQuery: `millrace status` and `check --connect` leave it out there. */
export const askLetters = undefined
export const askWarehouse = undefined

/** The bundle has no client for BigQuery: `millrace status` leaves the dead letters out there. */
export const askLetters = undefined

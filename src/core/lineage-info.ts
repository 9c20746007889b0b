// What a path tells of a lineage. Constant for the lineage's life.

export interface LineageInfo {
  source: string
  sourceType: 'containers' | 'files' | 'audit'
  /** Unique among the agent's lineages and stable over restarts: the checkpoint's key. */
  key: string
  /** The path under which discovery found it (the link in /var/log/containers, or the file). */
  path: string
  /** Empty strings for `files`. */
  namespace: string
  pod: string
  podUid: string
  container: string
  /** Whose events they are, for the spool of a webhook; absent for every other lineage. */
  apiServer?: string
}

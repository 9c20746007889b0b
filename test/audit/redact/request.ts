// A request as the places that hide a secret describe it.

export type Draw = <T>(from: readonly T[]) => T

export type Body = Record<string, unknown> | unknown[]
export interface Request {
  uri: string
  verb: string
  request?: Body
  response?: Body
  extra?: Record<string, string[]>
  reference?: Record<string, string>
  status?: Record<string, unknown>
  annotations?: Record<string, string>
}

export type Places = Record<string, (secret: string, draw: Draw) => Request>

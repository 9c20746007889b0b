// Certificates from files that are swapped under a running process, as Kubernetes swaps a mounted Secret (a link to a
// directory moves). A look is three stats, at most once a second; only a change is read. What is broken is an error that
// names the file, again and again, until somebody mends it: then the next look finds it.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import { errorMessage, TaffrailError } from '../core/errors.ts'
import type { TlsFiles } from './http.ts'

const lookEveryMs = 1000

/** What is made of the files, made anew when one of them changed. */
class Made<T extends object> {
  private readonly files: TlsFiles
  private readonly monotonic: () => number
  private readonly make: (files: TlsFiles) => T
  private lookedAtMs = Number.NEGATIVE_INFINITY
  private stamps = ''
  private made: T | TaffrailError | null = null

  /** `monotonic` is a clock in milliseconds that never goes back. Nothing is read before the first `current`. */
  constructor(files: TlsFiles, monotonic: () => number, make: (files: TlsFiles) => T) {
    this.files = files
    this.monotonic = monotonic
    this.make = make
  }

  /** The same object for as long as the files stay the same. Throws TaffrailError HTTP_TLS, whose message names the file. */
  current(): T {
    const nowMs = this.monotonic()
    if (this.made === null || nowMs - this.lookedAtMs >= lookEveryMs) {
      this.lookedAtMs = nowMs
      const stamps = [this.files.caFile, this.files.certFile, this.files.keyFile].map(stamp).join()
      if (this.made === null || stamps !== this.stamps) {
        this.stamps = stamps
        this.made = orError(() => this.make(this.files))
      }
    }
    if (this.made instanceof TaffrailError) throw this.made
    return this.made
  }
}

/** What a change of the file changes; stat follows links, so a swung link shows as another inode. */
function stamp(path: string | undefined): string {
  if (path === undefined) return ''
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false })
  return stat === undefined ? 'missing' : `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}`
}

/** The secure context of one client. */
export class TlsContext extends Made<SecureContext> {
  constructor(files: TlsFiles, monotonic: () => number) {
    super(files, monotonic, (each) => createSecureContext(optionsOf(each)))
  }
}

/** What a server needs of its files. That they make a context is tried here, so that what is broken has a name. */
export class ServerTls extends Made<SecureContextOptions> {
  constructor(files: TlsFiles, monotonic: () => number) {
    super(files, monotonic, (each) => {
      const options = optionsOf(each)
      createSecureContext(options)
      return options
    })
  }
}

function orError<T>(run: () => T): T | TaffrailError {
  try {
    return run()
  } catch (error) {
    return new TaffrailError('HTTP_TLS', errorMessage(error), error)
  }
}

function optionsOf(files: TlsFiles): SecureContextOptions {
  const options: SecureContextOptions = {}
  if (files.caFile !== undefined) options.ca = authorities(files.caFile)
  if (files.ca !== undefined) options.ca = files.ca
  if (files.cert !== undefined) options.cert = files.cert
  if (files.key !== undefined) options.key = files.key
  if (files.certFile !== undefined || files.keyFile !== undefined) {
    if (files.certFile === undefined) throw new Error(`keyFile ${files.keyFile} needs a certFile beside it`)
    if (files.keyFile === undefined) throw new Error(`certFile ${files.certFile} needs a keyFile beside it`)
    options.cert = read('certFile', files.certFile)
    options.key = read('keyFile', files.keyFile)
    const certificate = parse('certFile', files.certFile, () => new X509Certificate(options.cert as Buffer))
    const key = parse('keyFile', files.keyFile, () => createPrivateKey(options.key as Buffer))
    if (!certificate.checkPrivateKey(key)) {
      throw new Error(`keyFile ${files.keyFile} is not the key of certFile ${files.certFile}`)
    }
  }
  return options
}

/** Every certificate of a bundle. OpenSSL passes silently over what it cannot read, and the sink would be "not trusted". */
function authorities(path: string): string[] {
  const pems = read('caFile', path)
    .toString('latin1')
    .match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g)
  if (pems === null) throw new Error(`caFile ${path} holds no certificate`)
  for (const pem of pems) parse('caFile', path, () => new X509Certificate(pem))
  return pems
}

function read(name: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new Error(`${name} ${path} cannot be read: ${errorMessage(error)}`, { cause: error })
  }
}

function parse<T>(name: string, path: string, run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw new Error(`${name} ${path} is broken: ${errorMessage(error)}`, { cause: error })
  }
}

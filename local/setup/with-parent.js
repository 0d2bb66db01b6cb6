// Preloaded into programs that launch.js starts: ends the program in order when the launcher is gone, by kill -9 too.
// The launcher holds the other end of a pipe, so its death is the pipe's end.
import { Socket } from 'node:net'
import { isMainThread } from 'node:worker_threads'

const fd = process.env.MILLRACE_PARENT_FD
if (isMainThread && fd !== undefined) {
  delete process.env.MILLRACE_PARENT_FD // it is ours, and no grandchild's
  const pipe = new Socket({ fd: Number(fd), readable: true, writable: false })
  pipe.on('error', () => undefined)
  pipe.on('close', () => process.kill(process.pid, 'SIGTERM'))
  pipe.resume()
  pipe.unref()
}

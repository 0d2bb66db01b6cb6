/** What the bundle has in the place of snappy and lz4-napi, which are native code: an agent compresses by gzip or zstd, and reads no topic. */
function absent(): never {
  throw new Error('snappy and lz4 are not part of the agent: it never reads what others have published')
}

export {
  absent as compress,
  absent as compressFrame,
  absent as decompressFrame,
  absent as decompressFrameSync,
  absent as uncompress,
  absent as uncompressSync,
}

export { type Followed, type FollowedLog, Follower } from './follower.ts'
export { Scratch } from './reader.ts'
export { LogPattern } from './scan.ts'
export { type Reading, Source, type Workspace } from './source.ts'

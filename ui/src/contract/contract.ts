// Generated from crates/protocol by `cargo xtask generate`. Do not edit.

export type * from './ask';
export type * from './commands';
export type * from './error';
export type * from './event';
export type * from './folder';
export type * from './ids';
export type * from './model';
export type * from './models';
export type * from './outcome';
export type * from './status';
export type * from './tool';

export const TRANSCRIPT_FORMAT = 1;
export const API_VERSION = 1;

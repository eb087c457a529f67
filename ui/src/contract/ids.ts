// Generated from crates/protocol by `cargo xtask generate`. Do not edit.


/**
 * A git repository that the user added.
 */
export type ProjectId = string;

/**
 * One start of one agent on one story.
 */
export type RunId = string;

/**
 * A piece of work; its runs follow each other in one worktree.
 */
export type StoryId = string;

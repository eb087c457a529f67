-- Each row keeps its whole value as JSON in `data`; the other columns are what queries need.
-- Released migrations are never changed. Times are microseconds since 1970, UTC.
-- No foreign keys: a project may be forgotten while its stories and runs stay readable.

CREATE TABLE projects (
    id TEXT PRIMARY KEY,
    data TEXT NOT NULL
) STRICT;

CREATE TABLE stories (
    id TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    data TEXT NOT NULL
) STRICT;

CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    story TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    data TEXT NOT NULL
) STRICT;
CREATE INDEX runs_by_story ON runs (story, created_at);

CREATE TABLE sessions (
    story TEXT NOT NULL,
    run TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (story, run)
) STRICT;

CREATE TABLE trust (
    project TEXT NOT NULL,
    digest TEXT NOT NULL,
    at INTEGER NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (project, digest)
) STRICT;

CREATE TABLE read_marks (
    run TEXT PRIMARY KEY,
    seq INTEGER NOT NULL
) STRICT;

CREATE TABLE settings (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- Where some lines of a transcript begin.
CREATE TABLE event_index (
    run TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at_byte INTEGER NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

BEGIN TRANSACTION;
CREATE TABLE memguard_environments (
        id INTEGER PRIMARY KEY,
        platform TEXT NOT NULL,
        implementation TEXT NOT NULL,
        python TEXT NOT NULL,
        pytest TEXT NOT NULL,
        memguard TEXT NOT NULL,
        allocator TEXT NOT NULL,
        UNIQUE (platform, implementation, python, pytest, memguard, allocator)
    );
INSERT INTO "memguard_environments" VALUES(1,'Linux x86_64','CPython','3.12.1','9.2.0','0.1.0','pymalloc');
CREATE TABLE memguard_readings (
        run_id INTEGER NOT NULL REFERENCES memguard_runs (id),
        test_id INTEGER NOT NULL REFERENCES memguard_tests (id),
        outcome TEXT NOT NULL,
        finding TEXT NOT NULL,
        metric TEXT NOT NULL,
        peak_bytes BIGINT,
        ceiling_bytes BIGINT,
        growth_bytes BIGINT,
        imports INTEGER NOT NULL,
        leak TEXT NOT NULL,
        seconds DOUBLE PRECISION NOT NULL,
        worker TEXT NOT NULL, death TEXT NOT NULL DEFAULT '', children_bytes BIGINT, need_bytes BIGINT, waited_seconds DOUBLE PRECISION,
        PRIMARY KEY (test_id, run_id)
    );
INSERT INTO "memguard_readings" VALUES(1,1,'failed','over-budget','rss',5000000000,5000000001,-3,2,'leaking',1.25,'gw1','crashed (SIGSEGV)',6000000000,7000000000,0.5);
INSERT INTO "memguard_readings" VALUES(1,2,'skipped','','rss',NULL,NULL,NULL,0,'',0.0,'','',NULL,NULL,NULL);
CREATE TABLE memguard_runs (
        id INTEGER PRIMARY KEY,
        environment_id INTEGER NOT NULL REFERENCES memguard_environments (id),
        ended TEXT NOT NULL,
        commit_id TEXT NOT NULL,
        branch TEXT NOT NULL,
        dirty INTEGER,
        exit_status INTEGER NOT NULL,
        aborted TEXT NOT NULL,
        tests INTEGER NOT NULL
    );
INSERT INTO "memguard_runs" VALUES(1,1,'2026-11-21T13:25:26Z','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','main',0,1,'',2);
CREATE TABLE memguard_schema (number INTEGER NOT NULL);
INSERT INTO "memguard_schema" VALUES(2);
CREATE TABLE memguard_tests (
        id INTEGER PRIMARY KEY,
        nodeid TEXT NOT NULL UNIQUE
    );
INSERT INTO "memguard_tests" VALUES(1,'tests/test_a.py::test_load[ü]');
INSERT INTO "memguard_tests" VALUES(2,'tests/test_a.py::test_bare');
CREATE INDEX memguard_readings_of_run ON memguard_readings (run_id);
COMMIT;

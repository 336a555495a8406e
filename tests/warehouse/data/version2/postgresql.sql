SELECT pg_catalog.set_config('search_path', '', false);
CREATE TABLE public.barred_users (
    user_key character varying NOT NULL,
    bar character varying NOT NULL
);
CREATE TABLE public.batch_items (
    stream character varying NOT NULL,
    turn_id character varying NOT NULL,
    batch_id character varying NOT NULL
);
CREATE TABLE public.batches (
    batch_id character varying NOT NULL,
    stream character varying NOT NULL,
    token character varying NOT NULL,
    state character varying NOT NULL,
    snapshot integer NOT NULL,
    created_at timestamp without time zone NOT NULL,
    expires_at timestamp without time zone NOT NULL
);
CREATE TABLE public.commits (
    commit_id integer NOT NULL,
    kind character varying NOT NULL,
    subject character varying NOT NULL,
    committed_at timestamp without time zone NOT NULL
);
CREATE SEQUENCE public.commits_commit_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.commits_commit_id_seq OWNED BY public.commits.commit_id;
CREATE TABLE public.files (
    path character varying NOT NULL,
    table_name character varying NOT NULL,
    log_date date NOT NULL,
    part character varying NOT NULL,
    rows bigint NOT NULL,
    bytes bigint NOT NULL,
    sha256 character varying NOT NULL,
    stats json NOT NULL,
    generation integer NOT NULL,
    added_commit integer NOT NULL,
    removed_commit integer
);
CREATE TABLE public.models (
    version character varying NOT NULL,
    parent character varying,
    batch_id character varying NOT NULL,
    created_at timestamp without time zone NOT NULL,
    promoted boolean NOT NULL,
    manifest_sha256 character varying NOT NULL
);
CREATE TABLE public.partitions (
    table_name character varying NOT NULL,
    log_date date NOT NULL,
    part character varying NOT NULL,
    generation integer NOT NULL,
    head integer NOT NULL
);
CREATE TABLE public.runs (
    run_id character varying NOT NULL,
    stage character varying NOT NULL,
    log_date date NOT NULL,
    state character varying NOT NULL,
    started_at timestamp without time zone NOT NULL,
    ended_at timestamp without time zone,
    commit_id integer,
    counts json,
    reason character varying
);
CREATE TABLE public.schema_version (
    version integer NOT NULL
);
CREATE TABLE public.sources (
    log_date date NOT NULL,
    name character varying NOT NULL,
    size bigint NOT NULL,
    stamp character varying NOT NULL,
    sha256 character varying NOT NULL,
    lines bigint NOT NULL,
    duplicates bigint NOT NULL,
    suppressed bigint NOT NULL,
    run_id character varying NOT NULL
);
CREATE TABLE public.streams (
    stream character varying NOT NULL
);
CREATE TABLE public.watermarks (
    stage character varying NOT NULL,
    log_date date NOT NULL
);
ALTER TABLE ONLY public.commits ALTER COLUMN commit_id SET DEFAULT nextval('public.commits_commit_id_seq'::regclass);
INSERT INTO public.barred_users VALUES ('user-9', 'erased');
INSERT INTO public.barred_users VALUES ('user-4', 'opted_out');
INSERT INTO public.batch_items VALUES ('default', 'turn-20', 'default-000001');
INSERT INTO public.batch_items VALUES ('default', 'turn-21', 'default-000001');
INSERT INTO public.batch_items VALUES ('default', 'turn-12', 'default-000001');
INSERT INTO public.batch_items VALUES ('default', 'turn-13', 'default-000001');
INSERT INTO public.batch_items VALUES ('default', 'turn-14', 'default-000001');
INSERT INTO public.batch_items VALUES ('default', 'turn-10', 'default-000001');
INSERT INTO public.batch_items VALUES ('default', 'turn-11', 'default-000003');
INSERT INTO public.batch_items VALUES ('default', 'turn-2', 'default-000003');
INSERT INTO public.batch_items VALUES ('default', 'turn-0', 'default-000003');
INSERT INTO public.batches VALUES ('default-000001', 'default', '00000000000000000000000000000003', 'finished', 9, '2026-11-21 04:00:00', '2026-11-21 16:00:00');
INSERT INTO public.batches VALUES ('default-000002', 'default', '00000000000000000000000000000006', 'released', 10, '2026-11-21 04:00:00', '2026-11-21 16:00:00');
INSERT INTO public.batches VALUES ('default-000003', 'default', '00000000000000000000000000000009', 'leased', 10, '2026-11-21 04:00:00', '2026-11-21 16:00:00');
INSERT INTO public.commits VALUES (1, 'publish', 'ingest-0', '2026-11-19 03:00:00');
INSERT INTO public.commits VALUES (2, 'publish', 'mine-0', '2026-11-19 03:00:00');
INSERT INTO public.commits VALUES (3, 'publish', 'ingest-1', '2026-11-20 03:00:00');
INSERT INTO public.commits VALUES (4, 'publish', 'mine-1', '2026-11-20 03:00:00');
INSERT INTO public.commits VALUES (5, 'publish', 'ingest-2', '2026-11-21 03:00:00');
INSERT INTO public.commits VALUES (6, 'publish', 'mine-2', '2026-11-21 03:00:00');
INSERT INTO public.commits VALUES (7, 'publish', 'ingest-1-corrected', '2026-11-21 04:00:00');
INSERT INTO public.commits VALUES (8, 'publish', 'mine-2-small', '2026-11-21 04:00:00');
INSERT INTO public.commits VALUES (9, 'publish', 'ingest-0-emptied', '2026-11-21 04:00:00');
INSERT INTO public.commits VALUES (10, 'model', '0001-default-000001', '2026-11-21 05:00:00');
INSERT INTO public.files VALUES ('data/turns/log_date=2026-11-18/e7db0503b283432fa1a8afcbcf4018c6.parquet', 'turns', '2026-11-18', 'log', 4, 6751, '451b4cede1512737e329947d4e556cf4d368ac707c67afbef0ad830620ca0de4', '{}', 1, 1, 9);
INSERT INTO public.files VALUES ('data/dsat_turns/log_date=2026-11-18/0ce445b431b148ec914dbd238e546dd4.parquet', 'dsat_turns', '2026-11-18', 'rules@1', 5, 7122, 'e3d6185e3cb6743bc656f8dbe2f724ea68ce49a113a3b59fc1f808cc99cc73fd', '{"event_ts": ["2026-11-19T03:00:00+00:00", "2026-11-19T03:00:00+00:00"]}', 1, 2, NULL);
INSERT INTO public.files VALUES ('data/turns/log_date=2026-11-19/acc46ea49a7543b593ac35a4e9ab9f89.parquet', 'turns', '2026-11-19', 'log', 4, 6747, '832b46f65baf6054e27d3e0dcb7ab54cf9813b5b0f5f67f1ff7f72fb6cf14c83', '{}', 1, 3, 7);
INSERT INTO public.files VALUES ('data/dsat_turns/log_date=2026-11-19/9ae45f6bc7bf4a5f930095ca1fbda19a.parquet', 'dsat_turns', '2026-11-19', 'rules@1', 5, 7136, 'efa1e9543a4bc60fe8e1c436424c4ccaad0d763b5b1a5a53a3a9fd239b7c7a77', '{"event_ts": ["2026-11-20T03:00:00+00:00", "2026-11-20T03:00:00+00:00"]}', 1, 4, NULL);
INSERT INTO public.files VALUES ('data/turns/log_date=2026-11-20/522294d03bd94204bdff63c00af468fe.parquet', 'turns', '2026-11-20', 'log', 4, 6745, 'c6c037dffe032550382d5b0a26ebecda873282563a649016eda2237d2ee318a2', '{}', 1, 5, NULL);
INSERT INTO public.files VALUES ('data/dsat_turns/log_date=2026-11-20/945ebc818b074b2bb40377958a34db15.parquet', 'dsat_turns', '2026-11-20', 'rules@1', 5, 7136, '57e4f671488538d8133c5e892490fe6e73f6b4b9e9e53f7761c2751408a438de', '{"event_ts": ["2026-11-21T03:00:00+00:00", "2026-11-21T03:00:00+00:00"]}', 1, 6, NULL);
INSERT INTO public.files VALUES ('data/turns/log_date=2026-11-19/cc071e8058684e22ae429118c9686fc9.parquet', 'turns', '2026-11-19', 'log', 1, 6654, 'c37006ab4bccb560bd907dce2223b8d1f129425c09c55d0e59453fcedb753d37', '{}', 2, 7, NULL);
INSERT INTO public.files VALUES ('data/signals/log_date=2026-11-20/893880e6e8c048108a9025e362d955b2.parquet', 'signals', '2026-11-20', 'small@7', 1, 6301, '939ae1f2d929d1c165508bc58b6cdaf68f3d08620b091d0b454ea7864a5e084e', '{}', 1, 8, NULL);
INSERT INTO public.files VALUES ('data/dsat_turns/log_date=2026-11-20/f18cdaba533444e091c9d01b7fae928a.parquet', 'dsat_turns', '2026-11-20', 'small@7', 2, 7086, '63097770a8c02b274ae5ad3a0d1760ce4120f9d8735fd855f2026ffe7926241e', '{"event_ts": ["2026-11-21T04:00:00+00:00", "2026-11-21T04:00:00+00:00"]}', 1, 8, NULL);
INSERT INTO public.models VALUES ('0001-default-000001', NULL, 'default-000001', '2026-11-21 04:00:00', true, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa');
INSERT INTO public.partitions VALUES ('rejects', '2026-11-18', 'log', 1, 1);
INSERT INTO public.partitions VALUES ('turns', '2026-11-18', 'log', 2, 9);
INSERT INTO public.partitions VALUES ('dsat_turns', '2026-11-18', 'rules@1', 1, 2);
INSERT INTO public.partitions VALUES ('signals', '2026-11-18', 'rules@1', 1, 2);
INSERT INTO public.partitions VALUES ('rejects', '2026-11-19', 'log', 2, 7);
INSERT INTO public.partitions VALUES ('turns', '2026-11-19', 'log', 2, 7);
INSERT INTO public.partitions VALUES ('dsat_turns', '2026-11-19', 'rules@1', 1, 4);
INSERT INTO public.partitions VALUES ('signals', '2026-11-19', 'rules@1', 1, 4);
INSERT INTO public.partitions VALUES ('rejects', '2026-11-20', 'log', 1, 5);
INSERT INTO public.partitions VALUES ('turns', '2026-11-20', 'log', 1, 5);
INSERT INTO public.partitions VALUES ('dsat_turns', '2026-11-20', 'rules@1', 1, 6);
INSERT INTO public.partitions VALUES ('signals', '2026-11-20', 'rules@1', 1, 6);
INSERT INTO public.partitions VALUES ('dsat_turns', '2026-11-20', 'small@7', 1, 8);
INSERT INTO public.partitions VALUES ('signals', '2026-11-20', 'small@7', 1, 8);
INSERT INTO public.runs VALUES ('ingest-0', 'mine', '2026-11-18', 'committed', '2026-11-19 03:00:00', '2026-11-19 03:00:00', 1, '{"lines_in": 4}', NULL);
INSERT INTO public.runs VALUES ('mine-0', 'mine', '2026-11-18', 'committed', '2026-11-19 03:00:00', '2026-11-19 03:00:00', 2, '{"follow_ups": 5}', NULL);
INSERT INTO public.runs VALUES ('ingest-1', 'mine', '2026-11-19', 'committed', '2026-11-20 03:00:00', '2026-11-20 03:00:00', 3, '{"lines_in": 4}', NULL);
INSERT INTO public.runs VALUES ('mine-1', 'mine', '2026-11-19', 'committed', '2026-11-20 03:00:00', '2026-11-20 03:00:00', 4, '{"follow_ups": 5}', NULL);
INSERT INTO public.runs VALUES ('ingest-2', 'mine', '2026-11-20', 'committed', '2026-11-21 03:00:00', '2026-11-21 03:00:00', 5, '{"lines_in": 4}', NULL);
INSERT INTO public.runs VALUES ('mine-2', 'mine', '2026-11-20', 'committed', '2026-11-21 03:00:00', '2026-11-21 03:00:00', 6, '{"follow_ups": 5}', NULL);
INSERT INTO public.runs VALUES ('ingest-1-corrected', 'mine', '2026-11-19', 'committed', '2026-11-21 04:00:00', '2026-11-21 04:00:00', 7, '{"lines_in": 1}', NULL);
INSERT INTO public.runs VALUES ('mine-2-small', 'mine', '2026-11-20', 'committed', '2026-11-21 04:00:00', '2026-11-21 04:00:00', 8, '{"follow_ups": 1}', NULL);
INSERT INTO public.runs VALUES ('ingest-0-emptied', 'mine', '2026-11-18', 'committed', '2026-11-21 04:00:00', '2026-11-21 04:00:00', 9, '{}', NULL);
INSERT INTO public.runs VALUES ('mine-failed', 'mine', '2026-11-20', 'failed', '2026-11-21 04:00:00', '2026-11-21 04:00:00', NULL, NULL, 'disk full');
INSERT INTO public.runs VALUES ('mine-running', 'mine', '2026-11-20', 'running', '2026-11-21 04:00:00', NULL, NULL, NULL, NULL);
INSERT INTO public.schema_version VALUES (2);
INSERT INTO public.sources VALUES ('2026-11-18', '/logs/2026-11-18.jsonl', 100, '7', '0000000000000000000000000000000000000000000000000000000000000000', 4, 0, 0, 'ingest-0');
INSERT INTO public.sources VALUES ('2026-11-20', '/logs/2026-11-20.jsonl', 102, '7', '2222222222222222222222222222222222222222222222222222222222222222', 4, 2, 0, 'ingest-2');
INSERT INTO public.sources VALUES ('2026-11-19', '/logs/2026-11-19.jsonl', 50, '8', '9999999999999999999999999999999999999999999999999999999999999999', 1, 0, 0, 'ingest-1-corrected');
INSERT INTO public.streams VALUES ('default');
INSERT INTO public.watermarks VALUES ('mine', '2026-11-20');
SELECT pg_catalog.setval('public.commits_commit_id_seq', 10, true);
ALTER TABLE ONLY public.barred_users
    ADD CONSTRAINT barred_users_pkey PRIMARY KEY (user_key, bar);
ALTER TABLE ONLY public.batch_items
    ADD CONSTRAINT batch_items_pkey PRIMARY KEY (stream, turn_id);
ALTER TABLE ONLY public.batches
    ADD CONSTRAINT batches_pkey PRIMARY KEY (batch_id);
ALTER TABLE ONLY public.commits
    ADD CONSTRAINT commits_pkey PRIMARY KEY (commit_id);
ALTER TABLE ONLY public.files
    ADD CONSTRAINT files_pkey PRIMARY KEY (path);
ALTER TABLE ONLY public.models
    ADD CONSTRAINT models_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.partitions
    ADD CONSTRAINT partitions_pkey PRIMARY KEY (table_name, log_date, part);
ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (run_id);
ALTER TABLE ONLY public.schema_version
    ADD CONSTRAINT schema_version_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.sources
    ADD CONSTRAINT sources_pkey PRIMARY KEY (log_date, name);
ALTER TABLE ONLY public.streams
    ADD CONSTRAINT streams_pkey PRIMARY KEY (stream);
ALTER TABLE ONLY public.watermarks
    ADD CONSTRAINT watermarks_pkey PRIMARY KEY (stage);
CREATE INDEX files_by_partition ON public.files USING btree (table_name, log_date, part);
CREATE INDEX ix_batch_items_batch_id ON public.batch_items USING btree (batch_id);
CREATE INDEX ix_sources_sha256 ON public.sources USING btree (sha256);
ALTER TABLE ONLY public.batch_items
    ADD CONSTRAINT batch_items_batch_id_fkey FOREIGN KEY (batch_id) REFERENCES public.batches(batch_id);
ALTER TABLE ONLY public.batch_items
    ADD CONSTRAINT batch_items_stream_fkey FOREIGN KEY (stream) REFERENCES public.streams(stream);
ALTER TABLE ONLY public.batches
    ADD CONSTRAINT batches_snapshot_fkey FOREIGN KEY (snapshot) REFERENCES public.commits(commit_id);
ALTER TABLE ONLY public.batches
    ADD CONSTRAINT batches_stream_fkey FOREIGN KEY (stream) REFERENCES public.streams(stream);
ALTER TABLE ONLY public.files
    ADD CONSTRAINT files_added_commit_fkey FOREIGN KEY (added_commit) REFERENCES public.commits(commit_id);
ALTER TABLE ONLY public.files
    ADD CONSTRAINT files_removed_commit_fkey FOREIGN KEY (removed_commit) REFERENCES public.commits(commit_id);
ALTER TABLE ONLY public.files
    ADD CONSTRAINT files_table_name_log_date_part_fkey FOREIGN KEY (table_name, log_date, part) REFERENCES public.partitions(table_name, log_date, part);
ALTER TABLE ONLY public.models
    ADD CONSTRAINT models_batch_id_fkey FOREIGN KEY (batch_id) REFERENCES public.batches(batch_id);
ALTER TABLE ONLY public.partitions
    ADD CONSTRAINT partitions_head_fkey FOREIGN KEY (head) REFERENCES public.commits(commit_id);
ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_commit_id_fkey FOREIGN KEY (commit_id) REFERENCES public.commits(commit_id);
ALTER TABLE ONLY public.sources
    ADD CONSTRAINT sources_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.runs(run_id);

-- The audit log is append-only. Migrations 0001 and 0004.

CREATE SEQUENCE IF NOT EXISTS audit_event_id;

CREATE OR REPLACE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$;

CREATE OR REPLACE FUNCTION audit_seal_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.seq IS NULL AND NEW.seq IS NOT NULL AND (NEW.id, NEW.at, NEW.kind, NEW.actor, NEW.subject, NEW.system, NEW.leaf) = (OLD.id, OLD.at, OLD.kind, OLD.actor, OLD.subject, OLD.system, OLD.leaf) AND NEW.xid IS NOT DISTINCT FROM OLD.xid THEN RETURN NEW; END IF; RAISE EXCEPTION 'the audit log is append-only'; END $$;

CREATE OR REPLACE TRIGGER audit_event_append_only BEFORE DELETE ON audit_event FOR EACH ROW EXECUTE FUNCTION audit_append_only();

CREATE OR REPLACE TRIGGER audit_event_no_truncate BEFORE TRUNCATE ON audit_event FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();

CREATE OR REPLACE TRIGGER audit_tile_append_only BEFORE UPDATE OR DELETE ON audit_tile FOR EACH ROW EXECUTE FUNCTION audit_append_only();

CREATE OR REPLACE TRIGGER audit_tile_no_truncate BEFORE TRUNCATE ON audit_tile FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();

CREATE OR REPLACE TRIGGER audit_checkpoint_append_only BEFORE UPDATE OR DELETE ON audit_checkpoint FOR EACH ROW EXECUTE FUNCTION audit_append_only();

CREATE OR REPLACE TRIGGER audit_checkpoint_no_truncate BEFORE TRUNCATE ON audit_checkpoint FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();

CREATE OR REPLACE TRIGGER audit_event_seal_only BEFORE UPDATE ON audit_event FOR EACH ROW EXECUTE FUNCTION audit_seal_only();

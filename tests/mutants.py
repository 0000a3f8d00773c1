#!/usr/bin/env python3
"""Seeded bugs that the tests must see: mutants.py [FILE-OR-WORD...], as `make mutants` calls it. Each row of tests/mutants.txt is put into a
private copy of the tree, what it touches is built anew with ASan (for secrets.sh without), and its tests run, fastest first, until one fails:
FOUND. With words: only rows that have one of them in their file, bug or tests. Status 1: fewer than WANTED were found, or a row does not fit
the sources any more; --check only says which. R2_TEST_SERVER_DIR (a running server) is for the end-to-end tests."""
import glob, os, re, shutil, signal, subprocess, sys, tempfile, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TREE = ROOT + '/build/mutants'
WANTED = 0.95
LIMIT_S = {'unit': 300, 'script': 900}       # a test that hangs has found its mutant


class Row:
	def __init__(self, head, line):
		self.line = line
		self.file, self.tests, self.bug = (part.strip() for part in head.split(' | ', 2))
		self.tests = self.tests.split()
		self.old, self.new = [], []

	def texts(self):
		return '\n'.join(self.old), '\n'.join(self.new)


def read_table(path):
	"""FILE | TESTS | WHAT IT BREAKS, then the old text in lines that begin with "-", the new one in lines with "+"."""
	rows = []
	with open(path) as f:
		for number, text in enumerate(f, 1):
			text = text.rstrip('\n')
			if text.startswith('-'):
				rows[-1].old.append(text[1:])
			elif text.startswith('+'):
				rows[-1].new.append(text[1:])
			elif text and not text.startswith('#'):
				rows.append(Row(text, number))
	return rows


def misfits(rows):
	"""What is wrong with the table, lest it rot."""
	for row in rows:
		with open(f'{ROOT}/{row.file}') as f:
			n = f.read().count(row.texts()[0])
		if n != 1:
			yield f'tests/mutants.txt:{row.line}: {row.file}: the old text is there {n} times: {row.bug}'
		for test in row.tests:
			if not os.path.exists(f'{ROOT}/tests/{test if test.endswith(".sh") else test + ".c"}'):
				yield f'tests/mutants.txt:{row.line}: no test {test}'


def make(*targets, where=TREE):
	# As if it were made where it was copied from: so nothing is built that is there already.
	return subprocess.run(['make', '-s', '--no-print-directory', f'CURDIR={ROOT}', *targets], cwd=where, stdout=subprocess.PIPE,
		stderr=subprocess.STDOUT, text=True, errors='replace')


def program(test):
	if test == 'tls.sh':
		return 'build/asan/t_tls'
	if test == 'secrets.sh':
		return 'r2'      # which looks through files, calls and memory: those of ASan are none of r2's
	return 'build/asan/r2' if test.endswith('.sh') else 'build/asan/' + test


def copy_tree(programs):
	shutil.rmtree(TREE, ignore_errors=True)
	os.makedirs(TREE + '/build')
	for name in ('Makefile', 'lib', 'applets', 'tests', 'bench', 'doc'):
		subprocess.run(['cp', '-a', f'{ROOT}/{name}', TREE], check=True)
	for name in ('bearssl', 'musl-src', 'libc', 'flags-libc', 'roots.h', 'brssl', 'flags', 'flags-bearssl', 'musl', 'asan'):
		subprocess.run(['cp', '-a', f'{ROOT}/build/{name}', f'{TREE}/build/{name}'], check=True)
	if 'r2' in programs:
		shutil.copy2(ROOT + '/r2', TREE)
	stale = make('-q', *programs)
	if stale.returncode:
		sys.exit(f'the copy is not up to date: {stale.stdout}')


def end(p):
	"""All of the test's processes; first such that it stops its servers."""
	for sign in signal.SIGTERM, signal.SIGKILL:
		try:
			os.killpg(p.pid, sign)
			p.wait(10)
		except (ProcessLookupError, subprocess.TimeoutExpired):
			pass


# How a check says that it failed: one of a script, one of a unit program.
SAYS = {'script': re.compile(r'not ok - .*|.*: got ".*', re.M), 'unit': re.compile(r'tests/\S+:\d+: .*|.*(ERROR: |runtime error: ).*', re.M)}


def watch(p, out, kind):
	until = time.monotonic() + LIMIT_S[kind]
	while time.monotonic() < until:
		done = p.poll() is not None
		said = SAYS[kind].search(os.pread(out.fileno(), 1 << 24, 0).decode(errors='replace'))
		if done and not p.returncode:
			return None
		if said or done:
			return said.group().strip() if said else f'status {p.returncode}'
		time.sleep(0.2 if kind == 'script' else 0.02)
	return 'it hangs'


def fails(test):
	"""None when it passes, else how it failed. The first failure is enough."""
	script = test.endswith('.sh')
	env = dict(os.environ, R2=f'{TREE}/r2' if program(test) == 'r2' else f'{TREE}/build/asan/r2', UBSAN_OPTIONS='print_stacktrace=1')
	if script:
		env['ASAN_OPTIONS'] = 'detect_leaks=0'    # which needs ptrace: r2 allows it to nobody
	with tempfile.TemporaryFile() as out:
		p = subprocess.Popen([f'{TREE}/tests/{test}' if script else f'{TREE}/{program(test)}'], cwd=TREE, env=env,
			stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
		try:
			return watch(p, out, 'script' if script else 'unit')
		finally:
			end(p)


def plant(row):
	old, new = row.texts()
	path = f'{TREE}/{row.file}'
	with open(path) as f:
		text = f.read()
	with open(path, 'w') as f:
		f.write(text.replace(old, new))


def restore(row, since):
	"""As it was, times too: the next row need not build anew what this one has built."""
	shutil.copy2(f'{ROOT}/{row.file}', f'{TREE}/{row.file}')
	for path in [TREE + '/r2', *glob.glob(TREE + '/build/asan/**', recursive=True), *glob.glob(TREE + '/build/musl/**', recursive=True)]:
		if os.path.isfile(path) and os.stat(path).st_mtime >= since:
			os.remove(path)      # somebody may be running it still
			shutil.copy2(ROOT + path[len(TREE):], path)


def judge(row):
	"""FOUND, SURVIVED, or BROKEN when the mutant is no program; the test, or none; what it said."""
	since = os.stat(TREE + '/build/flags').st_ctime
	plant(row)
	try:
		for test in row.tests:
			built = make(program(test))
			if built.returncode:
				return 'BROKEN', None, built.stdout.strip()
			how = fails(test)
			if how:
				return 'FOUND', test, f'{test}: {how}'
		return 'SURVIVED', None, ' '.join(row.tests)
	finally:
		restore(row, since)


def main():
	signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
	rows = read_table(ROOT + '/tests/mutants.txt')
	wrong = list(misfits(rows))
	if wrong:
		sys.exit('\n'.join(wrong))
	words = sys.argv[1:]
	if words == ['--check']:
		return 0
	if words:
		rows = [r for r in rows if any(w in f'{r.file} {r.bug} {" ".join(r.tests)}' for w in words)]
		if not rows:
			sys.exit(f'no row has one of these words: {" ".join(words)}')
	programs = sorted({program(t) for r in rows for t in r.tests})
	built = make(*programs, where=ROOT)
	if built.returncode:
		sys.exit(built.stdout)
	copy_tree(programs)
	sound = set()
	count = {'FOUND': 0, 'SURVIVED': 0, 'BROKEN': 0}
	for row in rows:
		start = time.monotonic()
		verdict, test, said = judge(row)
		count[verdict] += 1
		print(f'{verdict:8} {row.file}: {row.bug} ({said[:160]}; {time.monotonic() - start:.0f} s)', flush=True)
		# A test that fails without a mutant would find every one; once in a while it may, on a machine that is busy.
		if test and test not in sound:
			how = fails(test) and fails(test)
			if how:
				sys.exit(f'{test} fails without any mutant: {how}')
			sound.add(test)
	print(f'{count["FOUND"]} of {len(rows)} found, {count["SURVIVED"]} survived, {count["BROKEN"]} could not be built')
	return count['BROKEN'] > 0 or count['FOUND'] < WANTED * len(rows)


if __name__ == '__main__':
	sys.exit(main())

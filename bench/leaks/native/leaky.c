/* The C extension of the leak benchmark: functions that lose memory, references or threads. */

#define PY_SSIZE_T_CLEAN
#define _GNU_SOURCE
#include <Python.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void *volatile last; /* keeps the compiler from leaving the allocations out */

/* reserve(size): allocate and forget. */
static PyObject *
reserve(PyObject *self, PyObject *argument)
{
    size_t size = PyLong_AsSize_t(argument);
    if (size == (size_t)-1 && PyErr_Occurred()) {
        return NULL;
    }
    last = malloc(size);
    if (last == NULL) {
        return PyErr_NoMemory();
    }
    *(char *)last = 1;
    Py_RETURN_NONE;
}

/* parse(text): its length; the scratch room is not freed if the text is empty. */
static PyObject *
parse(PyObject *self, PyObject *argument)
{
    Py_ssize_t length;
    const char *text = PyUnicode_AsUTF8AndSize(argument, &length);
    if (text == NULL) {
        return NULL;
    }
    char *copy = malloc((size_t)length + 64);
    if (copy == NULL) {
        return PyErr_NoMemory();
    }
    last = copy;
    memcpy(copy, text, (size_t)length);
    if (length == 0) {
        PyErr_SetString(PyExc_ValueError, "the text is empty");
        return NULL;
    }
    free(copy);
    return PyLong_FromSsize_t(length);
}

/* map_page(): map a page, touch it and forget it. */
static PyObject *
map_page(PyObject *self, PyObject *unused)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    char *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    *page = 1;
    Py_RETURN_NONE;
}

/* label(number): its first digit; the number's text is not given back. */
static PyObject *
label(PyObject *self, PyObject *argument)
{
    PyObject *text = PyObject_Str(argument);
    if (text == NULL) {
        return NULL;
    }
    return PyLong_FromLong((long)(PyUnicode_READ_CHAR(text, 0) - '0'));
}

/* digest(size): of as many zeros; they are not given back. */
static PyObject *
digest(PyObject *self, PyObject *argument)
{
    Py_ssize_t size = PyLong_AsSsize_t(argument);
    if (size == -1 && PyErr_Occurred()) {
        return NULL;
    }
    PyObject *zeros = PyBytes_FromStringAndSize(NULL, size);
    if (zeros == NULL) {
        return NULL;
    }
    memset(PyBytes_AS_STRING(zeros), 0, (size_t)size);
    return PyLong_FromLong(PyBytes_AS_STRING(zeros)[size / 2]);
}

/* table(): the number of columns of a table that is not given back. */
static PyObject *
table(PyObject *self, PyObject *unused)
{
    PyObject *columns = PyDict_New();
    PyObject *rows = PyList_New(0);
    if (columns == NULL || rows == NULL || PyDict_SetItemString(columns, "rows", rows) < 0) {
        Py_XDECREF(columns);
        Py_XDECREF(rows);
        return NULL;
    }
    Py_DECREF(rows);
    return PyLong_FromSsize_t(PyDict_Size(columns));
}

/* keep(object): take a reference and forget it. */
static PyObject *
keep(PyObject *self, PyObject *argument)
{
    Py_INCREF(argument);
    Py_RETURN_NONE;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;

static void *
sleep_for_ever(void *unused)
{
    pthread_mutex_lock(&lock);
    for (;;) {
        pthread_cond_wait(&never, &lock);
    }
    return NULL;
}

/* start_thread(): start a thread that sleeps for ever. */
static PyObject *
start_thread(PyObject *self, PyObject *unused)
{
    pthread_t thread;
    int status = pthread_create(&thread, NULL, sleep_for_ever, NULL);
    if (status != 0) {
        PyErr_Format(PyExc_OSError, "no thread: %s", strerror(status));
        return NULL;
    }
    pthread_detach(thread);
    Py_RETURN_NONE;
}

/* scratch(size): room for so much, which is kept for the next call. */
static PyObject *
scratch(PyObject *self, PyObject *argument)
{
    static char *room;
    static size_t capacity;
    size_t size = PyLong_AsSize_t(argument);
    if (size == (size_t)-1 && PyErr_Occurred()) {
        return NULL;
    }
    if (size > capacity) {
        char *more = realloc(room, size);
        if (more == NULL) {
            return PyErr_NoMemory();
        }
        room = more;
        capacity = size;
    }
    memset(room, 1, size);
    return PyLong_FromSize_t(capacity);
}

static PyMethodDef functions[] = {
    {"reserve", reserve, METH_O, "Allocate and forget."},
    {"parse", parse, METH_O, "The length of a text; leaks if it is empty."},
    {"map_page", map_page, METH_NOARGS, "Map a page and forget it."},
    {"label", label, METH_O, "The first digit of a number; loses a str."},
    {"digest", digest, METH_O, "Zero; loses bytes."},
    {"table", table, METH_NOARGS, "One; loses a dict."},
    {"keep", keep, METH_O, "Take a reference too many."},
    {"start_thread", start_thread, METH_NOARGS, "Start a thread that sleeps for ever."},
    {"scratch", scratch, METH_O, "The size of room that is kept for the next call."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "leaky", "What the leak benchmark needs in C.", -1, functions,
};

PyMODINIT_FUNC
PyInit_leaky(void)
{
    return PyModule_Create(&definition);
}

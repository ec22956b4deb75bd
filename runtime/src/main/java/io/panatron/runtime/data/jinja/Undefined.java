package io.panatron.runtime.data.jinja;

/** The value of a name, key or attribute that does not exist; prints as nothing and is false. */
record Undefined(String name) {
  JinjaException error() {
    return new JinjaException("'" + name + "' is undefined");
  }
}

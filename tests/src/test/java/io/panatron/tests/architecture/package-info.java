/** The walls of the house: who may see whom, and what nobody may do. */
package io.panatron.tests.architecture;

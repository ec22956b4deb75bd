package io.panatron.runtime.quickstart;

/**
 * One row of the quickstart's data.
 *
 * @param prompt what the user says
 * @param answer what the model shall answer, exactly
 */
public record TaskRow(Task task, String prompt, String answer) {}

// Short messages in the corner, with a dismiss button that has a name.
import { notifications } from '@mantine/notifications';

const closeButtonProps = { 'aria-label': 'Dismiss' };

export function tell(message: string): void {
  notifications.show({ message, closeButtonProps });
}

export function complain(title: string, message: string): void {
  notifications.show({ color: 'red', title, message, closeButtonProps, autoClose: 10_000 });
}
